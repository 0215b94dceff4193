"""What the edges report. The core never logs."""
