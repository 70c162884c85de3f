#!/bin/sh
# Makes the secrets of the compose file and of the units, once: a random password each, in files that their owner alone may
# read. What is there stays as it is, so that it can be called again.   sh deployments/secrets.sh [FOLDER]
set -eu
umask 077
folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
chmod 700 "$folder"

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# write NAME LINE...: a file appears whole or not at all.
write() {
    file=$folder/$1
    shift
    [ -e "$file" ] && return
    printf '%s\n' "$@" > "$file.$$"
    mv "$file.$$" "$file"
}

# Two files that need the same secret take it from the first of them.
value() { sed -n "s/^$2=//p" "$folder/$1"; }

write postgres.env "POSTGRES_PASSWORD=$(random)"
write objects.env "AWS_ACCESS_KEY_ID=tidemark" "AWS_SECRET_ACCESS_KEY=$(random)"
write server.env \
    "PREFECT_SERVER_API_AUTH_STRING=tidemark:$(random)" \
    "PREFECT_SERVER_DATABASE_PASSWORD=$(value postgres.env POSTGRES_PASSWORD)"
write worker.env \
    "PREFECT_API_AUTH_STRING=$(value server.env PREFECT_SERVER_API_AUTH_STRING)" \
    "AWS_ACCESS_KEY_ID=$(value objects.env AWS_ACCESS_KEY_ID)" \
    "AWS_SECRET_ACCESS_KEY=$(value objects.env AWS_SECRET_ACCESS_KEY)"
chmod 600 "$folder"/*.env
echo "secrets are in $folder; log in with the value of PREFECT_SERVER_API_AUTH_STRING in server.env"
