"""The HTTP side of the portal: requests, replies, their routes and the bytes on the socket.

What an endpoint answers is decided in the folders of the APIs.
"""
