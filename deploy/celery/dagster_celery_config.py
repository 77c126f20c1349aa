"""What Celery's workers are told; Dagster looks for a module of this name.

Not `dagster-celery worker start` with a YAML file: it would write the password of Redis to disk
with every start, and keep a stop by systemd from reaching the runs.
"""

import os

broker_url = os.environ["DAGSTER_CELERY_BROKER"]
result_backend = os.environ["DAGSTER_CELERY_BACKEND"]
# A worker without a free process takes nothing: a run would wait there while other hosts are idle.
worker_prefetch_multiplier = 1
worker_disable_prefetch = True
# A host may start before Redis does.
broker_connection_retry_on_startup = True
