# The import order of the house, top to bottom: which other rooms of server/ a room may include headers of. ROOM is any
# header of that room, ROOM/file.h that one only. Read by tests/lint-imports, and by the Makefile to link each unit test
# with its room and those beneath it.
ROOMS := master worker web client live app net wire http runtime base

USES_main    := master worker app net http runtime base
USES_master  := worker/worker.h http base
USES_worker  := client/client.h live/live.h app net http runtime base
# What web and client call of app is public (include/reeve): they are linked with it, and include no header of it.
USES_web     := app/- http base
USES_client  := app/- http runtime base
USES_live    := app wire net http runtime base
USES_app     := net http runtime base
USES_net     := http runtime base
USES_http    := base
USES_wire    := http base
USES_runtime := base
USES_base    :=
USES_cli     := base
USES_lib     :=
USES_apps    :=
