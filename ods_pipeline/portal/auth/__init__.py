"""What a user shows to a portal: an API key, or the bearer token of an OAuth2 login.

Credentials sign requests and know how they are renewed; they send nothing but what the portal's
own token endpoint is to know. Requests to the portal itself are `client`'s.
"""

from ods_pipeline.portal.auth import log_filters
from ods_pipeline.portal.auth.api_key import ApiKey
from ods_pipeline.portal.auth.oauth2 import OAuth2
from ods_pipeline.portal.http.signing import Credentials, Signer

__all__ = ["ApiKey", "Credentials", "OAuth2", "Signer"]

log_filters.install()
