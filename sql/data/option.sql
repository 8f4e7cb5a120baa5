-- Every option that is known. An unknown one is refused at INSERT, with the nearest of these.
with known (name, is_built, meaning) as (
    values
    ('key', true, 'columns that identify a row; default the primary key'),
    ('on_conflict', true, 'update, skip or error when the row exists'),
    ('columns', true, 'source names to target columns'),
    ('constants', true, 'values for target columns'),
    ('null_values', true, 'what is read as null'),
    ('header', true, 'whether, and how many, rows name the columns'),
    ('delimiter', true, 'CSV: the character between fields'),
    ('quote', true, 'CSV: the character around fields'),
    ('escape', true, 'CSV: the character before a quote inside a field'),
    ('encoding', true, 'how characters are written'),
    ('batch_size', true, 'rows in a batch at most'),
    ('max_errors', true, 'how many, or what share of, refused records fail the job'),
    ('timeout', true, 'seconds a job may run in all'),
    ('force', true, 'import although the same content was imported before'),
    ('hold_on_failure', true, 'a failed job keeps later ones of its serial_key waiting'),
    ('ignore_unknown', true, 'pass over columns of the file that have no target'),
    ('optional', true, 'mapped columns that the file may lack'),
    ('trim', true, 'cut blanks around values'),
    ('decimal', true, 'the decimal sign'),
    ('thousands', true, 'the sign between thousands'),
    ('true_values', true, 'what is read as true'),
    ('false_values', true, 'what is read as false'),
    ('date_format', true, 'how dates are written'),
    ('time_zone', true, 'the zone of times without one'),
    ('update_columns', true, 'what an update may touch'),
    ('blank', true, 'whether nulls of the file overwrite'),
    ('provenance', true, 'target columns that say where a row came from'),
    ('on_missing', false, 'full snapshots: what becomes of rows that the file lacks'),
    ('delete_when', false, 'full snapshots: which records delete their row'),
    ('schema', true, 'a JSON Schema for each row'),
    ('similar', true, 'refuse near-duplicates'),
    ('atomic', true, 'the whole file or nothing'),
    ('track_changes', true, 'record which rows were changed, and how'),
    ('changed_only', true, 'many files: only those that changed'),
    ('on_file_error', true, 'many files: fail or skip one that cannot be read'),
    ('comment', true, 'CSV: the sign that begins a comment line'),
    ('skip_rows', true, 'CSV: lines before the header'),
    ('ragged', true, 'CSV: error, pad or truncate'),
    ('rest', true, 'CSV: a column for surplus values'),
    ('records_path', true, 'JSON: where the records are'),
    ('pattern', true, 'text: a pattern with named groups'),
    ('separator', true, 'text: what separates records')
),
gone as (
    delete from jobd.option o where not exists (select from known k where k.name = o.name)
)
insert into jobd.option (name, is_built, meaning)
select k.name, k.is_built, k.meaning from known k
on conflict (name) do update set is_built = excluded.is_built, meaning = excluded.meaning
where (option.is_built, option.meaning) is distinct from (excluded.is_built, excluded.meaning);
