"""HTTP: one client for all requests to a portal, with its limits, redirects and errors.

What a reply means for a dataset is decided in the other folders of `portal`.
"""
