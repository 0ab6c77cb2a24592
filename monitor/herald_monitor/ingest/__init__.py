"""The path of an event, from the broker to the store.

consumers → receiver → buffer → parser → recorder → retrying_writer
"""
