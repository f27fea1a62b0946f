"""One finder of a capture's files: what is listed under a name, and lies on this disk under another.

Names travel between systems and programs, and change on the way: case, separators, Unicode form, suffix, folders. So a
name is looked for as it is written, then in another spelling, then with another suffix. Folders are read once each, and
no more of them than a capture has. What fits several files equally is not guessed at.
"""
