create or replace trigger blob_prepare
before insert on jobd.blob
for each row
execute function jobd.blob_prepare();
