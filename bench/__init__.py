"""Measures Headgate side by side with the peer, and with what the machine could do at best: `python3 dev.py bench`."""
