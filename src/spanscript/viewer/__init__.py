"""
The transcript as one HTML page that needs nothing else: no network, no server, no other file.

The page itself (`page.html`) is built from `src/viewer-page` by `make page`. What is put into it here is data
alone, compressed and in base64: nothing that a model, a tool or a user said is ever read as HTML.
"""
