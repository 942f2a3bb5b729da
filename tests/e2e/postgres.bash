# postgres.bash: a PostgreSQL of the test's own: in a folder of its own, on a Unix socket only, with nothing written through
# to the disk. It refuses to run as root, so root becomes somebody else for it.

PG_BIN=$(printf '%s\n' /usr/lib/postgresql/*/bin | tail -n 1)
need_postgres() { need "$PG_BIN/initdb" "$PG_BIN/postgres" psql; }

as_postgres() {
    if [ "$(id -u)" -eq 0 ]; then
        exec setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
    fi
    exec "$@"
}

# make_postgres: sets PG_DIR and CONNINFO, of a database that start_postgres starts
make_postgres() {
    PG_DIR=$(mktemp -d /tmp/reeve-pg-XXXXXX) # bats' own folders may not be open to others
    folders+=("$PG_DIR")
    CONNINFO="host=$PG_DIR user=tester dbname=postgres"
    export PG_DIR CONNINFO
    [ "$(id -u)" -ne 0 ] || chown postgres "$PG_DIR"
    (cd "$PG_DIR" && as_postgres "$PG_BIN/initdb" --pgdata="$PG_DIR/data" --username=tester --auth=trust --no-sync \
        --no-instructions --encoding=UTF8 --locale=C.UTF-8) >"$PG_DIR.log" 2>&1 || { cat "$PG_DIR.log" && return 1; }
    folders+=("$PG_DIR.log")
}

# start_postgres [OPTION...]: returns when it answers; sets POSTGRES, its process id
start_postgres() {
    (cd "$PG_DIR" && as_postgres "$PG_BIN/postgres" -D "$PG_DIR/data" -k "$PG_DIR" -h '' -F -c max_connections=60 \
        -c shared_buffers=16MB -c max_wal_size=64MB -c logging_collector=off "$@") >>"$PG_DIR.log" 2>&1 3>&- 4>&- &
    POSTGRES=$!
    started+=("$POSTGRES")
    export POSTGRES
    wait_until sql 'SELECT 1' || { tail -n 20 "$PG_DIR.log" && return 1; }
}

# stop_postgres [SIGNAL]: INT cuts everybody off and ends in order, QUIT ends at once
stop_postgres() {
    kill -"${1:-INT}" "$POSTGRES"
    end_of "$POSTGRES"
}

# sql STATEMENT: its rows, one a line, values with a "|" between them
sql() { psql -XAtq -h "$PG_DIR" -U tester -d postgres -c "$1"; }

# sessions [CONDITION]: how many connections to it reeve has
sessions() { sql "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'reeve%' AND ${1:-true}"; }
