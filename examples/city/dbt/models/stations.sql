-- Each station with the bikes that stand there now.
select
    place.stationcode,
    place.name,
    place.capacity,
    coalesce(now.numbikesavailable, 0) as bikes,
    coalesce(now.ebike, 0) as ebikes,
    now.nom_arrondissement_communes as town
from {{ source('paris', 'velib-emplacement-des-stations') }} as place
left join {{ source('paris', 'velib-disponibilite-en-temps-reel') }} as now using (stationcode)
