# Galley. `make run` sets up, builds and starts; `make test` sets up and tests. See README.md.
#
# Objects of a variant (release, asan, tsan) lie in build/VARIANT; what is downloaded or generated
# lies in build/ (V=1 shows the commands); make clean keeps downloads, make distclean nothing. Release objects carry both LTO and native code: the server links with LTO, the
# unit tests without, which keeps them quick to build.

MAKEFLAGS += -j$(shell nproc)

VARIANT ?= release
B       := build/$(VARIANT)
GALLEY  := $(if $(filter release,$(VARIANT)),build/galley,$(B)/galley)
PREFIX  ?= /usr/local
UNITDIR ?= $(PREFIX)/lib/systemd/system
Q       := $(if $(V),,@)

WARN     := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes -Werror
BASE     := -std=gnu11 -g -pthread -I. -D_GNU_SOURCE -MMD -MP
HARDEN   := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fcf-protection
release_CFLAGS  := -O2 -flto=auto -ffat-lto-objects -fPIE $(HARDEN)
release_LDFLAGS := -O2 -flto=auto -pie -Wl,-z,relro,-z,now
dev_CFLAGS      := -O1
dev_LDFLAGS     :=
asan_CFLAGS     := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
asan_LDFLAGS    := -fsanitize=address,undefined
# It does not know fences, and warns of them: what stands behind ours is a file's map, written by no code of ours.
tsan_CFLAGS     := -O1 -fno-omit-frame-pointer -fsanitize=thread -Wno-tsan
tsan_LDFLAGS    := -fsanitize=thread
CFLAGS_ALL  := $(BASE) $($(VARIANT)_CFLAGS) $(CFLAGS)
LDFLAGS_ALL := -pthread $($(VARIANT)_LDFLAGS) $(LDFLAGS)
LIBS        := -lresolv -llmdb -ljansson -ljwt -lssl -lcrypto -linih -lxxhash -lpcre2-8 -lz -lbrotlienc -lcurl -lm

# Only what we use of civetweb; the quantum is how often its acceptor looks whether to stop. Its code
# is not ours to warn about.
CIVETWEB := build/civetweb
CIVET_CFLAGS := -w -DNO_SSL -DNO_CGI -DNO_FILES -DNO_CACHING -DUSE_IPV6 -DUSE_X_DOM_SOCKET \
                -DUSE_STACK_SIZE=524288 -DSOCKET_TIMEOUT_QUANTUM=100

SRC  := $(wildcard base/*.c storage/*.c storage/engine/*.c cache/*.c queue/*.c server/*.c server/*/*.c \
          modules/*.c modules/*/*.c)
MODULES := $(basename $(notdir $(wildcard modules/*.c)))
OBJ  := $(patsubst %.c,$(B)/%.o,$(filter-out server/main.c,$(SRC))) $(B)/civetweb.o $(B)/assets.o $(B)/modules.o $(B)/templates.o
# Tests that go on in children they kill: the thread sanitizer cannot follow them there, and takes minutes.
tsan_LEFT_OUT := storage/test_model storage/test_flips queue/test_model queue/test_flips
# One thread that computes for minutes.
tsan_LEFT_OUT += cache/test_hit_ratio
UNIT := $(filter-out $(addprefix $(B)/unit/,$($(VARIANT)_LEFT_OUT)),\
    $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/*/test_*.c)))
TOOLS := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/*.c)) $(B)/tests/crowd $(B)/tests/galley-notes
BENCH_TOOLS := $(B)/tests/answer_sweep $(B)/tests/cache_bench $(B)/tests/fill_jobs $(B)/tests/fill_orders $(B)/tests/large_documents $(B)/tests/pick_cost $(B)/tests/queue_cost
API     := $(wildcard tests/api/*.test.mjs examples/*/*.test.mjs)
CRASH   := $(wildcard tests/crash/*.test.mjs)
BROWSER := $(wildcard tests/browser/*.test.mjs)
SUITES  := build/cache-tests/.stamp build/schema-tests/.stamp build/tests/openapi/.stamp
RUN_TESTS = GALLEY_BIN=$(CURDIR)/$(GALLEY) GALLEY_TOOLS=$(CURDIR)/$(B)/tests tests/run.sh

.PHONY: all run dev docs test unit api crash browser bench cost sanitized asan tsan check deps clean distclean install uninstall deb FORCE
.DELETE_ON_ERROR:
.SECONDARY:

all: $(GALLEY)

run: all
	@exec $(GALLEY) serve $(ARGS)

# Builds without LTO, and again when a file changes, and starts anew.
dev:
	+@node tools/dev.mjs $(ARGS)

# ---- Building

# The assets first: what they wait for takes longest. Whoever starts the program meanwhile gets the one before.
$(GALLEY): $(B)/assets.o $(B)/server/main.o $(OBJ)
	@echo "  link $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@.new $^ $(LIBS) && mv $@.new $@

$(B)/libgalley.a: $(OBJ)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(B)/%.o: %.c Makefile | build/.deps-build $(CIVETWEB)/.stamp
	@mkdir -p $(@D)
	@echo "  cc $<"
	$(Q)$(CC) $(CFLAGS_ALL) $(WARN) -I$(CIVETWEB)/include -c -o $@ $<

$(B)/civetweb.o: $(CIVETWEB)/.stamp Makefile
	@mkdir -p $(@D)
	@echo "  cc civetweb.c"
	$(Q)$(CC) $(CFLAGS_ALL) $(CIVET_CFLAGS) -I$(CIVETWEB)/include -c -o $@ $(CIVETWEB)/src/civetweb.c

# The list of modules, written anew when a file comes or goes.
build/modules.c: FORCE
	@mkdir -p build
	@tools/modules.sh $(MODULES) >$@.new; cmp -s $@.new $@ && rm $@.new || mv $@.new $@

build/modules-notes.c: tools/modules.sh
	@mkdir -p build
	@tools/modules.sh $(MODULES) notes >$@

# What `galley new module` writes.
build/templates.c: tools/templates.sh examples/notes/notes.c examples/notes/notes.test.mjs
	@mkdir -p build
	@tools/templates.sh >$@

$(B)/modules.o $(B)/modules-notes.o $(B)/templates.o: $(B)/%.o: build/%.c | build/.deps-build
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -c -o $@ $<

FORCE:

$(B)/assets.o: build/assets.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -c -o $@ $<

$(CIVETWEB)/.stamp: tools/civetweb.sh $(wildcard server/front/civetweb/*.patch) | build/.deps-build
	CIVETWEB_SRC="$(CIVETWEB_SRC)" tools/civetweb.sh $(CIVETWEB)

build/assets.c: tools/embed.mjs $(wildcard admin-ui/*.* admin-ui/*/*.* admin-ui/*/*/*.*) build/admin-ui/.stamp | build/.deps-npm
	node tools/embed.mjs $@

# npm projects keep their node_modules under build/, where their manifests are copied.
build/%/.stamp: %/package.json %/package-lock.json | build/.deps-npm
	@mkdir -p $(@D)
	cp $*/package.json $*/package-lock.json $(wildcard $*/.npmrc) $(@D)/
	npm --prefix $(@D) ci --no-audit --no-fund || { echo "The libraries of $* are missing and cannot be fetched: \
	connect to the network once (make clean keeps what was fetched)." >&2; exit 1; }
	@touch $@

# Public test suites.
build/cache-tests/.stamp: tools/cache_tests.sh | build/.deps-npm
	tools/cache_tests.sh $(@D)

build/schema-tests/.stamp: tools/schema_tests.sh | build/.deps-build
	tools/schema_tests.sh $(@D)

deps: build/.deps-build build/.deps-npm build/.deps-test build/.deps-check build/.deps-bench build/.deps-cost

# Most of the packages are npm's: what they are not needed for is compiled meanwhile.
build/.deps-npm: | build/.deps-build

build/.deps-%: tools/deps.sh
	@mkdir -p build
	@tools/deps.sh $*
	@touch $@

docs: $(GALLEY)
	$(GALLEY) help config own >docs/config.md

# ---- Testing

$(B)/unit/%: $(B)/tests/unit/%.o $(B)/libgalley.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -flto=auto,$(LDFLAGS_ALL)) -fno-lto -o $@ $^ $(LIBS) -lcmocka -lbrotlidec -ldl

$(B)/tests/%: $(B)/tests/%.o $(B)/libgalley.a
	$(Q)$(CC) $(filter-out -flto=auto,$(LDFLAGS_ALL)) -fno-lto -o $@ $^ $(LIBS)

# The server with the module of examples/notes in it.
$(B)/tests/galley-notes: $(B)/server/main.o $(B)/examples/notes/notes.o $(B)/modules-notes.o \
                         $(filter-out $(B)/modules.o,$(OBJ))
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -flto=auto,$(LDFLAGS_ALL)) -fno-lto -o $@ $^ $(LIBS)

$(B)/tests/crowd: $(patsubst %.c,$(B)/%.o,$(wildcard bench/crowd/*.c))
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

# What nobody calls may call what is not there: LTO leaves it out, and so does an archive.
$(BENCH_TOOLS): $(B)/tests/%: $(B)/bench/%.o $(if $(filter release,$(VARIANT)),$(OBJ),$(B)/libgalley.a)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

$(UNIT:$(B)/unit/%=$(B)/tests/unit/%.o): | build/.deps-test

test: $(GALLEY) $(UNIT) $(TOOLS) build/tests/browser/.stamp $(SUITES) build/.deps-test
	@$(RUN_TESTS) $(UNIT) -- $(API) $(CRASH) $(BROWSER)

unit: $(UNIT) build/.deps-test
	@$(RUN_TESTS) $(UNIT) --

api crash: $(GALLEY) $(TOOLS) $(SUITES) build/.deps-test
	@$(RUN_TESTS) -- $(if $(filter api,$@),$(API),$(CRASH))

browser: $(GALLEY) build/tests/browser/.stamp build/.deps-test
	@$(RUN_TESTS) -- $(BROWSER)

# All but what would take long and see nothing more: the browser's, those of packages and of building, and, of threads, those that hash
# passwords one after another.
PACKAGES := $(addprefix tests/api/,build.test.mjs deb.test.mjs dev.test.mjs dialect.test.mjs includes.test.mjs install.test.mjs)
tsan_PASSWORDS := tests/api/people.test.mjs
sanitized: $(GALLEY) $(UNIT) $(TOOLS) $(SUITES) build/.deps-test
	@$(RUN_TESTS) $(UNIT) -- $(filter-out $(PACKAGES) $($(VARIANT)_PASSWORDS),$(API)) $(CRASH)

asan tsan:
	$(MAKE) VARIANT=$@ sanitized

build/nginx: tools/unpacked.sh build/.deps-bench
	tools/unpacked.sh $@ nginx

build/haproxy: tools/unpacked.sh
	tools/unpacked.sh $@ haproxy liblua5.3-0 libopentracing1 libopentracing-c-wrapper0

bench: $(GALLEY) $(TOOLS) $(BENCH_TOOLS) build/nginx build/haproxy build/bench/gateway/.stamp build/.deps-bench
	@GALLEY=$(GALLEY) TOOLS=$(B)/tests NGINX_BINARY=build/nginx HAPROXY_BINARY=build/haproxy GATEWAY_MODULES=build/bench/gateway/node_modules bench/run.sh

# Instructions for each request, against docs/cost.tsv; UPDATE=1 writes it, PROFILES=DIR keeps the profiles.
cost: $(GALLEY) build/.deps-cost
	@node bench/cost.mjs $(GALLEY) docs/cost.tsv

# clang-format decides layout; gcc's analyzer, cppcheck and clang-tidy look for bugs.
check: build/.deps-check build/assets.c $(CIVETWEB)/.stamp
	@tools/check.sh $(SRC)

# Below DESTDIR: program, manual page, completion, systemd unit, logrotate's file and, if there is none, a configuration.
install: $(GALLEY)
	@DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" UNITDIR="$(UNITDIR)" tools/install.sh install $(GALLEY)

uninstall:
	@DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" UNITDIR="$(UNITDIR)" tools/install.sh uninstall

# build/galley.deb for this machine's Debian, with the modules of this folder in it.
deb: $(GALLEY)
	@tools/deb.sh $(GALLEY) build/galley.deb

# What was downloaded stays: building again needs no network. distclean drops that too.
clean:
	rm -rf build/release build/dev build/asan build/tsan build/galley build/*.c

distclean:
	rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
