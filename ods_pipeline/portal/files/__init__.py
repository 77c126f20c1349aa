"""Documents and files beside a dataset's records: attachments and alternative exports.

Records and their exports belong to `exports`.
"""
