-- How many bikes stand in each town.
select
    town,
    count(*) as stations,
    sum(capacity) as docks,
    sum(bikes) as bikes,
    round(100.0 * sum(bikes) / sum(capacity), 1) as percent_full
from {{ ref('stations') }}
where town is not null
group by town
