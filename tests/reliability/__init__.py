"""What comes of bad days: frameworks that misbehave, kills at random moments, Ctrl-C.

`ways` says what a framework does and what is to come of it, `commands` what came of it; `kills`
and `ctrl_c` end commands at random moments. ``python -m reliability`` does all of it, with
``tests`` among the places where modules are, keeps what was found, and writes the page.
"""
