"""A recorded request sent once more: where to, with which key, and what comes back."""
