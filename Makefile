# How reeve is built, tested and installed. `make help` lists the targets.
#
# Sources are found by folder: a new .c file in a room needs no line here. Each kind of build has a folder of its
# own and so never mixes with another:
#
#   build         release: optimised, hardened         make
#   build-debug   for the debugger                     make debug
#   build-asan    AddressSanitizer and UBSan           make asan
#   build-fuzz    the fuzzers, by clang                make fuzz
#
# Variables: BUILD (the folder, which decides the kind), CC (gcc or clang), CFLAGS and LDFLAGS (added to the house's own),
# WERROR=1 (warnings are errors, as in CI), JOBS (default: all cores), V=1 (show whole commands), FUZZ_SECONDS,
# PREFIX and DESTDIR (for install).

VERSION := 0.1.0

BUILD  ?= build
PREFIX ?= /usr/local
JOBS   ?= $(shell nproc)

ifeq ($(MAKELEVEL),0)
MAKEFLAGS += --jobs=$(JOBS)
endif
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.SECONDEXPANSION:

Q   := $(if $(V),,@)
SAY := $(if $(V),@:,@printf '  %-5s %s\n')

# ---- flags ----------------------------------------------------------------------------------------------------------

KIND := $(or $(patsubst build-%,%,$(filter build-%,$(notdir $(BUILD)))),release)

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual \
            -Wwrite-strings -Wvla -Wformat=2 -fno-common
ifneq ($(filter true 1,$(CI) $(WERROR)),)
WARNINGS += -Werror
endif

SANITIZE := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all

# The server itself is optimised as a whole at its link (gcc only); everything else takes the plain half of the objects.
ifeq ($(KIND)$(findstring clang,$(CC)),release)
LTO_COMPILE := -flto=auto -ffat-lto-objects
LTO_NOT     := -fno-lto
LTO_LINK    := -flto=auto
endif

KIND_release := -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
KIND_debug   := -O0 -g3
KIND_asan    := $(SANITIZE)
KIND_fuzz    := $(SANITIZE) -fsanitize=fuzzer-no-link
KIND_FLAGS   := $(or $(KIND_$(KIND)),$(error BUILD=$(BUILD): the folder is build, build-debug, build-asan or build-fuzz))

ifeq ($(KIND),fuzz)
override CC := clang
endif

# http-parser has no .pc file. Asked for when first used, so that `make deps` works before pkg-config is there.
PACKAGES = libevent_core libevent_extra libcjson libconfuse libelf libdw libmd libsystemd zlib
ask      = $(or $(shell pkg-config $1 $(PACKAGES)),$(error libraries are missing: run `make deps-build`))
LIBS     = $(eval LIBS := $$(call ask,--libs) -lhttp_parser -ldl)$(LIBS)
INCLUDES = $(eval INCLUDES := $$(call ask,--cflags))$(INCLUDES)
PG_LIBS     = $(shell pkg-config --libs libpq)
PG_INCLUDES = $(eval PG_INCLUDES := $$(shell pkg-config --cflags libpq))$(PG_INCLUDES)

# What each of the three kinds of code is compiled with: the server (also reevectl and the tests), and application modules,
# which see include/ only. MODULE_* are the flags that app authors are told of (reeve.pc, include/reeve/app.h).
COMMON         := -std=c11 $(WARNINGS) $(KIND_FLAGS) -fstack-protector-strong -MMD -MP
HARDEN_LINK    := -Wl,-z,relro,-z,now
SERVER_COMPILE := $(COMMON) -D_GNU_SOURCE -DREEVE_VERSION='"$(VERSION)"' -Iinclude -Iserver -fPIE -fvisibility=hidden -pthread \
                  $(LTO_COMPILE)
SERVER_LINK    := $(KIND_FLAGS) $(LTO_NOT) -pie -pthread $(HARDEN_LINK) -Wl,--as-needed
EXPORT         := -Wl,--export-dynamic
MODULE_CFLAGS  := -fPIC -fvisibility=hidden
MODULE_LDFLAGS := -shared -Wl,-Bsymbolic-functions
MODULE_COMPILE := $(COMMON) -D_GNU_SOURCE -Iinclude $(MODULE_CFLAGS)
MODULE_LINK    := $(KIND_FLAGS) $(HARDEN_LINK) $(MODULE_LDFLAGS)

# ---- what is built from what ----------------------------------------------------------------------------------------

# $(call objects,SOURCES): server/base/log.c becomes $(BUILD)/obj/server/base/log.c.o
objects = $(addprefix $(BUILD)/obj/,$(addsuffix .o,$1))
room    = $(call objects,$(wildcard server/$1/*.c server/$1/*.S))

# A room's objects with those of every room beneath it. The import order itself stands in tests/rooms.mk.
include tests/rooms.mk
beneath = $(sort $1 $(foreach r,$(USES_$1),$(call beneath,$(firstword $(subst /, ,$r)))))
rooms   = $(foreach r,$(call beneath,$1),$(call room,$r))

# tests/unit/test_http_head.c tests the room http, and links that room and those beneath it only. A test of an app,
# test_apps_NAME_..., includes the app's own files and links none of the server.
room_of = $(or $(filter $(ROOMS) apps,$(firstword $(subst _, ,$1))),$(error tests/unit/test_$1.c: the name is test_ROOM_NAME.c))

ROOM_OBJECTS := $(foreach r,$(ROOMS),$(call room,$r))
MAIN_OBJECTS := $(call objects,$(wildcard server/*.c))
CLI_OBJECTS  := $(call objects,$(wildcard cli/*.c))

modules = $(patsubst %/,$(BUILD)/%.so,$(sort $(dir $(wildcard $1/*/*.c))))

PROGRAMS     := $(BUILD)/bin/reeve $(BUILD)/bin/reevectl
LIBRARIES    := $(patsubst lib/%/,$(BUILD)/lib/libreeve-%.a,$(sort $(dir $(wildcard lib/*/*.c))))
APPS         := $(call modules,apps)
TEST_MODULES := $(call modules,tests/apps)
UNIT_TESTS   := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
FUZZERS      := $(patsubst tests/fuzz/%.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))

all: $(PROGRAMS) $(LIBRARIES) $(APPS) ## Build reeve, reevectl and the bundled apps into build/

debug: ## Build for the debugger into build-debug/
	@$(MAKE) BUILD=build-debug all

asan: ## Build with AddressSanitizer and UBSan into build-asan/
	@$(MAKE) BUILD=build-asan all

$(BUILD)/bin/reeve: $(MAIN_OBJECTS) $(ROOM_OBJECTS)
	$(link-server) $(LTO_LINK) $(EXPORT) $(LIBS)

$(BUILD)/bin/reevectl: $(CLI_OBJECTS) $(call room,base)
	$(link-server) $(LIBS) -lncursesw -ltinfo

# apps/NAME/*.c becomes apps/NAME.so; tests/apps/NAME, modules that only tests load, likewise.
$(BUILD)/%.so: $$(call objects,$$(wildcard $$*/*.c))
	$(SAY) LINK $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -o $@ $(filter %.o,$^) $(MODULE_LINK) $(LDFLAGS) $(filter %.a,$^) $(MODULE_LIBS)

# lib/NAME/*.c becomes lib/libreeve-NAME.a: code that applications link. Those here that do:
$(BUILD)/lib/libreeve-%.a: $$(call objects,$$(wildcard lib/$$*/*.c))
	$(SAY) AR $@
	$(Q)mkdir -p $(@D) && rm -f $@
	$(Q)$(AR) rcs $@ $^

PG_MODULES := $(BUILD)/apps/notes.so $(BUILD)/tests/apps/database.so
$(PG_MODULES): $(BUILD)/lib/libreeve-pg.a
$(PG_MODULES): MODULE_LIBS = $(PG_LIBS)

$(BUILD)/tests/test_%: $(BUILD)/obj/tests/unit/test_%.c.o $$(call rooms,$$(call room_of,$$*))
	$(link-server) $(EXPORT) $(LIBS) -lcmocka

$(BUILD)/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.c.o $(ROOM_OBJECTS)
	$(link-server) -fsanitize=fuzzer $(EXPORT) $(LIBS)

define link-server
$(SAY) LINK $@
$(Q)mkdir -p $(@D)
$(Q)$(CC) -o $@ $^ $(SERVER_LINK) $(LDFLAGS)
endef

$(BUILD)/obj/lib/%.o:        COMPILE = $(MODULE_COMPILE) $(PG_INCLUDES)
$(BUILD)/obj/apps/%.o:       COMPILE = $(MODULE_COMPILE)
$(BUILD)/obj/tests/apps/%.o: COMPILE = $(MODULE_COMPILE)
$(BUILD)/obj/%.o:            COMPILE = $(SERVER_COMPILE) $(INCLUDES)

$(BUILD)/obj/%.o: % $(BUILD)/flags
	$(SAY) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(COMPILE) $(CFLAGS) -c -o $@ $<

# Everything is compiled again when the compiler or a flag changes: this file is touched only when its content does.
FLAGS := $(CC) $(SERVER_COMPILE) $(MODULE_COMPILE) $(CFLAGS)
$(BUILD)/flags: ALWAYS
	@mkdir -p $(@D)
	@printf '%s\n' $(call quote,$(FLAGS)) | cmp -s - $@ || printf '%s\n' $(call quote,$(FLAGS)) >$@
quote = '$(subst ','\'',$1)'

-include $(wildcard $(BUILD)/obj/*/*.d $(BUILD)/obj/*/*/*.d $(BUILD)/obj/*/*/*/*.d)

.PRECIOUS: $(BUILD)/obj/%.o
.PHONY: ALWAYS

# ---- tests ----------------------------------------------------------------------------------------------------------

# tests/run-checks runs the suites it is given, and ends with one line: N passed, N failed.
CHECK = @tests/run-checks

check: deps-check ## Pass every test: lint, unit and end-to-end on the sanitizer build, the core of them on the release build, too, the fuzzers' corpus
	$(CHECK) lint unit:build core:build unit:build-asan e2e:build-asan fuzz:build-fuzz

check-unit: deps-check ## Pass the unit tests
	$(CHECK) unit:$(BUILD)

check-e2e: deps-check ## Pass the end-to-end tests
	$(CHECK) e2e:$(BUILD)

check-asan: deps-check ## Pass the unit and end-to-end tests on the sanitizer build
	$(CHECK) unit:build-asan e2e:build-asan

fuzz: deps-check ## Run each fuzzer for FUZZ_SECONDS (60)
	@$(MAKE) BUILD=build-fuzz fuzzers
	@tests/run-fuzzers build-fuzz

bench: deps all ## Measure reeve beside its peers
	REEVE_BUILD=$(BUILD) tests/bench/run

# What the suites need; tests/run-checks asks for these.
unit-tests: $(UNIT_TESTS) $(TEST_MODULES)
e2e-tests: all $(TEST_MODULES)
fuzzers: $(FUZZERS)

# ---- lint -----------------------------------------------------------------------------------------------------------

C_FILES  = $(shell find server cli include lib apps tests -name '*.[ch]')
SCRIPTS  = $(shell grep -lIrE '^\#!.*\bbash$$' .ci etc tests) $(wildcard tests/e2e/*.bash)
CPPCHECK = cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --inline-suppr --std=c11 \
           --suppress=missingIncludeSystem -j $(JOBS) --cppcheck-build-dir=$(BUILD)/cppcheck -Iinclude -Iserver \
           $(addprefix --include=,$(QUEUE_H))
# cppcheck reads no system headers, but cannot parse a file without the list macros of this one.
QUEUE_H  = $(filter %/sys/queue.h,$(shell $(CC) -M -include sys/queue.h -xc /dev/null))

lint: deps-check lint-imports lint-format lint-cppcheck lint-shell lint-lengths ## Check import order, format, cppcheck, shellcheck

lint-imports:
	@tests/lint-imports

lint-format: | deps-check
	@clang-format --dry-run -Werror $(C_FILES)

lint-cppcheck: | deps-check
	@mkdir -p $(BUILD)/cppcheck
	@$(CPPCHECK) server cli lib apps

lint-shell: | deps-check
	@shellcheck -x $(SCRIPTS)

# A report, which never fails: long functions are places to look at.
lint-lengths:
	@tests/lint-lengths $(filter %.c,$(C_FILES))

format: deps-check ## Format all C files in place
	@clang-format -i $(C_FILES)

# ---- what must be installed -----------------------------------------------------------------------------------------

NEED_BUILD := gcc libc6-dev make curl pkg-config libevent-dev libhttp-parser-dev libcjson-dev libconfuse-dev \
              libelf-dev libdw-dev libmd-dev libsystemd-dev libncurses-dev zlib1g-dev libpq-dev
NEED_CHECK := $(NEED_BUILD) libcmocka-dev bats bats-support bats-assert bats-file parallel jq wrk nghttp2-client \
              nginx-light netcat-openbsd iproute2 procps util-linux python3 python3-pyte valgrind systemd \
              clang clang-format libclang-rt-14-dev cppcheck shellcheck postgresql-15 nodejs node-ws python3-websockets \
              chromium-headless-shell
NEED_ALL   := $(NEED_CHECK) lighttpd libmicrohttpd-dev libwebsockets-dev redis-server

deps-build:
	@.ci/need-packages $(NEED_BUILD)

deps-check:
	@.ci/need-packages $(NEED_CHECK)

deps: ## Install what building, testing and measuring need (apt-get)
	@.ci/need-packages $(NEED_ALL)

# ---- running and installing -----------------------------------------------------------------------------------------

run: deps-build ## Build and serve the bundled apps on 127.0.0.1:8080; Ctrl-C stops
	@$(MAKE) BUILD=build all
	@mkdir -p build/run && exec build/bin/reeve -c etc/run.conf

BINDIR     := $(DESTDIR)$(PREFIX)/bin
INCLUDEDIR := $(DESTDIR)$(PREFIX)/include/reeve
LIBDIR     := $(DESTDIR)$(PREFIX)/lib
APPDIR     := $(DESTDIR)$(PREFIX)/lib/reeve/apps
PCDIR      := $(DESTDIR)$(PREFIX)/lib/pkgconfig
COMPLETION := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
CONFDIR    := $(DESTDIR)$(if $(filter /usr,$(PREFIX)),,$(PREFIX))/etc/reeve
UNITDIR    := $(DESTDIR)$(PREFIX)/lib/systemd/system

# $(call fill,IN,OUT): copies a file with the paths and flags of this installation.
fill = sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@VERSION@|$(VERSION)|g' -e 's|build/apps|$(PREFIX)/lib/reeve/apps|g' \
       -e 's|@MODULE_CFLAGS@|$(MODULE_CFLAGS)|g' -e 's|@MODULE_LDFLAGS@|$(MODULE_LDFLAGS)|g' \
       -e 's|/usr/local/etc/reeve|$(patsubst $(DESTDIR)%,%,$(CONFDIR))|g' -e 's|/usr/local/bin|$(PREFIX)/bin|g' $1 >$2

install: all ## Install into DESTDIR and PREFIX (/usr/local); a configuration that is there already stays
	install -d $(BINDIR) $(INCLUDEDIR) $(APPDIR) $(PCDIR) $(CONFDIR) $(COMPLETION) $(UNITDIR)
	install -m 755 $(PROGRAMS) $(BINDIR)
	install -m 644 include/reeve/*.h $(INCLUDEDIR)
	install -m 644 $(LIBRARIES) $(LIBDIR)
	install -m 755 $(APPS) $(APPDIR)
	install -m 644 etc/completions/reevectl.bash $(COMPLETION)/reevectl
	$(call fill,etc/reeve.pc.in,$(PCDIR)/reeve.pc)
	$(call fill,etc/reeve-pg.pc.in,$(PCDIR)/reeve-pg.pc)
	$(call fill,etc/reeve.service,$(UNITDIR)/reeve.service)
	$(call fill,etc/reeve.socket,$(UNITDIR)/reeve.socket)
	test -e $(CONFDIR)/reeve.conf || $(call fill,etc/reeve.conf,$(CONFDIR)/reeve.conf)

uninstall: ## Remove what install put there, except the configuration
	rm -f $(addprefix $(BINDIR)/,$(notdir $(PROGRAMS))) $(addprefix $(APPDIR)/,$(notdir $(APPS))) $(PCDIR)/reeve.pc \
	      $(PCDIR)/reeve-pg.pc $(addprefix $(LIBDIR)/,$(notdir $(LIBRARIES))) \
	      $(COMPLETION)/reevectl $(UNITDIR)/reeve.service $(UNITDIR)/reeve.socket
	rm -rf $(INCLUDEDIR)
	rmdir --ignore-fail-on-non-empty $(wildcard $(APPDIR) $(dir $(APPDIR)))

clean: ## Remove every build folder
	rm -rf build build-debug build-asan build-fuzz

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: all debug asan check check-unit check-e2e check-asan fuzz bench unit-tests e2e-tests fuzzers lint lint-imports \
        lint-format lint-cppcheck lint-shell lint-lengths format deps-build deps-check deps run install uninstall clean help
