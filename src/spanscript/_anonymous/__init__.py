"""
A transcript without what was said in it: same shape, same sizes, other words.

Nothing is recognised as private: everything is replaced but for a fixed vocabulary of the wire APIs, so that
what nobody thought of is replaced too.
"""
