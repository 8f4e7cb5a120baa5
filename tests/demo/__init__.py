"""`make demo`: the main job on real data, told as a story in the terminal.

``scenario`` is the story, ``screen`` what is seen of it, ``playground`` the server and daemons it runs on.
"""
