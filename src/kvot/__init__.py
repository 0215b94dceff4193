"""Kvot: how many AI tokens has each company used in its rolling window, and may the next call go ahead?"""

__version__ = "0.1.0"
