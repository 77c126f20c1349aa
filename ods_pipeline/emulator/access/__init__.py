"""Who may see what: people, API keys, OAuth2 applications and the login they end in.

Built from the documents alone. Datasets that a caller may not see are taken out before an endpoint
of the APIs runs.
"""
