"""The bodies of answers that no other type describes, for the OpenAPI document.

Structs of other packages describe the rest. A test holds recorded answers to both.
"""
