"""The request quota of a portal: what replies say of it, and one budget for all who share it.

Sending, and what any other reply means, is not done here.
"""
