-- The bytes of a blob, as the job's submitter, who sees its own only.

-- name: import_blob_size
select size_bytes from jobd.blob where id = $1;

-- name: import_blob_slice
select substring(data from $2::int + 1 for $3::int) from jobd.blob where id = $1;
