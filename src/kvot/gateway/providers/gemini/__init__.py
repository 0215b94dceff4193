"""Gemini's generateContent and what belongs to it."""
