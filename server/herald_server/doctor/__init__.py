"""`herald doctor`: what is reachable, what is not set as Herald needs it, and the line
that mends it.

    facts     what was found, and what is to be said of it
    rules     facts → findings. Pure.
    workers   workers, asked           broker    the broker, asked
    backend   the result backend       store     Herald's own store
    visit     all of them, side by side, in bounded time
"""
