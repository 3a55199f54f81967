"""Seeded customers of shops, what they do and what happens to them, and the truth about each: a pure generator of a seed.

The truth is written when the customer decides, never by looking at definitions: nothing here knows what a signal, an expectation
or a session is to the rest of the core. Start with `simulator.py`.
"""
