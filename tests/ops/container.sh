#!/bin/bash
# Runs a program as a container would: process 1 of its own namespaces, on a read-only root, as a user who may nothing.
#   unshare --mount --pid --fork --uts --ipc --kill-child container.sh DIR PYTHON DEPENDENCIES USER WRITABLE PROGRAM…
# DIR/exchange holds the wheel, the program's environment (env) and its secrets (secrets/). What is WRITABLE, a list
# separated by colons, is empty and in memory. The network is this host's.
set -euo pipefail
dir=$1 python=$2 dependencies=$3 user=$4 writable=$5
shift 5
root=$dir/root/system
mount --make-rprivate /
mount -t tmpfs -o size=512m tmpfs "$dir/root"
mkdir "$dir"/root/{upper,work,system}
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/root/upper,workdir=$dir/root/work" "$root"
mkdir -p "$root"/opt/{python,dependencies} "$root/run/secrets/jobd"
mount -t tmpfs tmpfs "$root/opt"
mkdir -p "$root"/opt/{python,dependencies}
mount --bind "$python" "$root/opt/python"
mount --bind "$dependencies" "$root/opt/dependencies"
mount -t proc proc "$root/proc"

inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LD_LIBRARY_PATH=/opt/python/lib HOME=/ "$@"; }
inside /opt/python/bin/python3 -m venv --without-pip /opt/jobd
for site in "$root"/opt/jobd/lib/python*/site-packages; do
    echo /opt/dependencies >"$site/dependencies.pth"
done
cp "$dir"/exchange/*.whl "$root/opt"
inside sh -c '/opt/jobd/bin/python /opt/dependencies/pip install --quiet --no-index --no-deps --ignore-installed \
    --no-warn-script-location --disable-pip-version-check /opt/*.whl'

# As Kubernetes mounts them: secrets for the group to read, an emptyDir for everybody to write.
mount -t tmpfs -o mode=755 tmpfs "$root/run/secrets/jobd"
install -g "${user#*:}" -m 0440 "$dir"/exchange/secrets/* "$root/run/secrets/jobd"
mount -o remount,ro "$root/run/secrets/jobd"
IFS=: read -r -a places <<<"$writable"
for place in "${places[@]}"; do
    mkdir -p "$root$place"
    mount -t tmpfs -o mode=2777,size=64m,gid="${user#*:}" tmpfs "$root$place"
done
mount -o remount,bind,ro "$root/opt/python"
mount -o remount,bind,ro "$root/opt/dependencies"
mount -o remount,ro "$root/opt"
mount -o remount,ro "$root"
mapfile -t variables <"$dir/exchange/env"
exec chroot "$root" setpriv --reuid="${user%:*}" --regid="${user#*:}" --clear-groups --no-new-privs \
    --bounding-set=-all --inh-caps=-all env -i PATH=/opt/jobd/bin:/usr/bin:/bin LD_LIBRARY_PATH=/opt/python/lib \
    HOME=/var/lib/jobd "${variables[@]}" "$@"
