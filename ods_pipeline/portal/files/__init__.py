"""Files beside a dataset's records: attachments, alternative exports, and what records point to.

Records and their exports belong to `exports`.
"""
