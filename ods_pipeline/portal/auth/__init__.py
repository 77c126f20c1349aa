"""What a user shows to a portal: an API key, or the bearer token of an OAuth2 login.

Credentials sign requests and know how they are renewed. They send nothing except to the portal's
token endpoint; all other requests belong to `portal/http`.
"""

from ods_pipeline.portal.auth.api_key import ApiKey
from ods_pipeline.portal.auth.oauth2 import OAuth2
from ods_pipeline.portal.http.signing import Credentials, Signer

__all__ = ["TWO_KINDS", "ApiKey", "Credentials", "OAuth2", "Signer"]

#: What a user hears whose environment has both.
TWO_KINDS = (
    "both an API key (ODS_API_KEY) and an application (ODS_CLIENT_ID) are set; unset one of them"
)
