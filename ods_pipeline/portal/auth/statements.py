"""What the token store says to PostgreSQL: each statement is whole, and leaves no session state.

What is done with them, and when, is `postgres`'s knowledge.
"""

CONNECTION = {
    "connect_timeout": 10,
    "client_encoding": "utf8",
    "application_name": "ods-pipeline",
    # Poolers give each transaction another session, which knows no statements prepared before.
    "prepare_threshold": None,
    # A server that vanished without a word is noticed after 20 seconds.
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}

CREATE = """
create table if not exists ods_pipeline_logins (
    portal text not null,
    client_id text not null,
    record jsonb,
    generation bigint,
    holder text,
    until timestamptz,
    primary key (portal, client_id)
)"""
# For this transaction alone: no wait without end, and a commit that means "on disk".
CAREFULLY = """
select set_config('statement_timeout', '10s', true),
    case when current_setting('synchronous_commit') = 'off'
        then set_config('synchronous_commit', 'on', true) end"""
LOAD = """
select record::text from ods_pipeline_logins
where portal = %(portal)s and client_id = %(client_id)s"""
SAVE = """
insert into ods_pipeline_logins (portal, client_id, record, generation)
values (%(portal)s, %(client_id)s, %(record)s::jsonb, %(generation)s)
on conflict (portal, client_id)
do update set record = excluded.record, generation = excluded.generation
returning true"""
# The second condition recognises what a commit kept whose confirmation got lost.
SWAP = """
update ods_pipeline_logins set record = %(record)s::jsonb, generation = %(generation)s
where portal = %(portal)s and client_id = %(client_id)s
    and (record->>'refresh_token' = %(old)s or record = %(record)s::jsonb)
returning true"""
# Whoever begins to spend a refresh token must still be the one who may, with a whole lease ahead.
BEGIN = """
update ods_pipeline_logins set record = %(record)s::jsonb, generation = %(generation)s,
    until = clock_timestamp() + %(lease)s * interval '1 second'
where portal = %(portal)s and client_id = %(client_id)s
    and record->>'refresh_token' = %(old)s
    and holder = %(holder)s and until > clock_timestamp()
returning true"""
FORGET = """
update ods_pipeline_logins set record = null, generation = null
where portal = %(portal)s and client_id = %(client_id)s and record is not null
returning true"""
TAKE = """
insert into ods_pipeline_logins as kept (portal, client_id, holder, until)
values (
    %(portal)s, %(client_id)s, %(holder)s,
    clock_timestamp() + %(lease)s * interval '1 second'
)
on conflict (portal, client_id)
do update set holder = excluded.holder, until = excluded.until
where kept.holder is null or kept.holder = excluded.holder or kept.until <= clock_timestamp()
returning true"""
RELEASE = """
update ods_pipeline_logins set holder = null, until = null
where portal = %(portal)s and client_id = %(client_id)s and holder = %(holder)s
returning true"""
