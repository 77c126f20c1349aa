"""What goes wrong on purpose: which faults there are, and what each does to a reply.

Where real portals differ without being wrong is a quirk, and no fault.
"""
