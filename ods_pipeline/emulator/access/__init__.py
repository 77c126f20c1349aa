"""Who may see what: people, API keys, OAuth2 applications and the login they end in.

Built from the documents alone; what a caller may not see is left out before any endpoint looks.
"""
