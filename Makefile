# One Makefile, one build folder per flavour, so that flavours never mix:
#   build/release  build/debug  build/address  build/undefined  build/thread  build/fuzz
#
#   make                       the program (build/release/nvcf-registry-webhook)
#   make SANITIZER=address     the same with a sanitizer: address, undefined or thread
#   make DEBUG=1               -O0, for a debugger
#   make setup                 install what is missing (make, make demo, make test do it too)
#   make demo                  the main job, no cluster needed
#   make test                  unit, cases, fuzz replay, integration, lint; the last line counts
#   make check [SANITIZER=…]   unit and integration tests in one flavour
#   make unit | cases | fuzz-replay | integration | lint     one suite; T=name picks one test
#   make long                  what takes minutes and a control plane
#   make fuzz                  the libFuzzer targets; make fuzz-run T=review SECONDS=600
#   make e2e | spring | image | sbom | bench                 need more than Debian's packages
#   make soak [REQUESTS=…]      ten million admissions while policy and certificates change
#   make format                clang-format over every C file
#   make install DESTDIR=…     the program, also as a kubectl plugin
#
# Files are found by wildcard: a .c file under webhook/ or certs/ joins the library, a
# tests/unit/test_*.c becomes a test binary, a tests/fuzz/fuzz_*.c a fuzz target and its replay.
# docs/TESTING.md says what each suite does. NO_SETUP=1 skips the installation of packages,
# STATIC=1 links a static-pie (needs static libraries), COMMIT= and VERSION= can be given.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

SANITIZER ?=
DEBUG ?=
STATIC ?=
NO_SETUP ?=
T ?=
SECONDS ?= 60
ifneq ($(filter-out address undefined thread,$(SANITIZER)),)
  $(error SANITIZER=$(SANITIZER) is not known: use address, undefined or thread)
endif
FLAVOUR ?= $(if $(SANITIZER),$(SANITIZER),$(if $(DEBUG),debug,$(if $(STATIC),static,release)))
B := build/$(FLAVOUR)
ifeq ($(FLAVOUR),fuzz)
  CC := clang
else ifeq ($(origin CC),default)
  CC := gcc
endif

VERSION ?= 0.1.0
COMMIT ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

PKGS := libmicrohttpd openssl jansson libcurl yaml-0.1
WARN := -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes \
        -Wmissing-prototypes -Wvla -Wformat=2 -Wundef -Wcast-qual -Wpointer-arith \
        -Wwrite-strings -Werror
# Paths of the build machine stay out of the binary: it must come out the same everywhere.
BASE := -std=gnu11 -g -fno-common -fvisibility=hidden -pthread -Iwebhook -I. -D_GNU_SOURCE \
        -ffile-prefix-map=$(CURDIR)=.
# Control-flow protection has another name on each architecture.
ARCH := $(shell uname -m)
CFI := $(if $(filter x86_64,$(ARCH)),-fcf-protection=full,$(if $(filter aarch64,$(ARCH)),-mbranch-protection=standard))
HARDEN := -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection $(CFI)
HARDEN_LD := -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code -Wl,--as-needed -Wl,--build-id=sha1
ifeq ($(FLAVOUR),release)
  OPT := $(HARDEN) -fPIE
  LDOPT := -pie $(HARDEN_LD)
else ifeq ($(FLAVOUR),static)
  # What nobody reads stays out of the image: unwind tables, and relocations at full length.
  OPT := $(HARDEN) -fPIE -ffunction-sections -fdata-sections
  LDOPT := -static-pie $(HARDEN_LD) -Wl,--gc-sections -Wl,-z,pack-relative-relocs \
           -Wl,--no-eh-frame-hdr -Wl,-T,tools/static.ld
else ifeq ($(FLAVOUR),debug)
  OPT := -O0 -DNRW_DEBUG
else ifeq ($(FLAVOUR),fuzz)
  OPT := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer \
         -fno-sanitize-recover=all -DNRW_DEBUG -DNRW_FUZZ
  LDOPT := -fsanitize=address,undefined
else
  OPT := -O1 -fsanitize=$(SANITIZER) -fno-omit-frame-pointer -fno-sanitize-recover=all -DNRW_DEBUG
  LDOPT := -fsanitize=$(SANITIZER)
endif
CFLAGS_ALL = $(BASE) $(WARN) $(OPT) $(PKG_CFLAGS) -DNRW_VERSION='"$(VERSION)"' $(COMMIT_FLAG) $(CFLAGS)
# Asked once, and only after the setup step has run.
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(shell pkg-config --cflags $(PKGS)))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $$(shell pkg-config $(if $(STATIC),--static) --libs $(PKGS)))$(PKG_LIBS)
TEST_LIBS = $(eval TEST_LIBS := $$(shell pkg-config --libs cmocka))$(TEST_LIBS)

LIB_SRC := $(filter-out webhook/main.c,$(sort $(shell find webhook certs -name '*.c' 2>/dev/null)))
LIB_OBJ := $(LIB_SRC:%.c=$B/%.o)
BIN := $B/nvcf-registry-webhook
HAVE_MAIN := $(wildcard webhook/main.c)

SUPPORT_SRC := $(sort $(wildcard tests/unit/support/*.c))
SUPPORT_OBJ := $(SUPPORT_SRC:%.c=$B/%.o)
UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
UNIT_BIN := $(UNIT_SRC:%.c=$B/%)
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
REPLAY_BIN := $(if $(wildcard tests/fuzz/replay_main.c),$(FUZZ_SRC:tests/fuzz/fuzz_%.c=$B/tests/fuzz/replay_%))
FUZZ_BIN := $(FUZZ_SRC:%.c=$B/%)
# Programs that integration tests, e2e or bench may need: tests/tools/*.c, bench/*.c, one file each.
TOOL_SRC := $(sort $(wildcard tests/tools/*.c bench/*.c))
TOOL_BIN := $(TOOL_SRC:%.c=$B/%)
TOOL_SUPPORT_OBJ := $(patsubst %.c,$B/%.o,$(sort $(wildcard tests/tools/support/*.c)))
BENCH_SUPPORT_OBJ := $(patsubst %.c,$B/%.o,$(sort $(wildcard bench/support/*.c)))

.PHONY: all setup test-programs unit cases fuzz-replay integration long lint check test demo \
        fuzz fuzz-run e2e spring image sbom bench soak format install clean
all: $(if $(HAVE_MAIN),$(BIN),$B/libwebhook.a)

# --- setup ------------------------------------------------------------------------------
# `make setup` asks dpkg each time (well under a second). The stamp makes every compile wait
# for the first one without asking again.
setup:
	@tools/setup.sh build test lint
build/.setup: $(if $(NO_SETUP),,tools/setup.sh)
	@mkdir -p build
	@$(if $(NO_SETUP),true,tools/setup.sh build test lint)
	@touch $@

# --- objects, library, program ----------------------------------------------------------
# Only files that mention NRW_COMMIT are compiled again when the commit changes.
COMMIT_SRC := $(shell grep -rl --include='*.c' NRW_COMMIT webhook certs 2>/dev/null)
COMMIT_OBJ := $(COMMIT_SRC:%.c=$B/%.o)
$(COMMIT_OBJ): $B/commit
$(COMMIT_OBJ): private COMMIT_FLAG := -DNRW_COMMIT='"$(COMMIT)"'
$B/commit: FORCE
	@mkdir -p $(@D)
	@echo '$(COMMIT) $(VERSION)' | cmp -s - $@ || echo '$(COMMIT) $(VERSION)' > $@
.PHONY: FORCE
FORCE:

# In the image, what no review waits for is made small rather than fast.
ifeq ($(FLAVOUR),static)
$(addprefix $B/,$(addsuffix /%.o,certs webhook/app webhook/cli webhook/kube webhook/observe)): OPT += -Os
endif

$B/%.o: %.c Makefile | build/.setup
	@mkdir -p $(@D)
	@echo "  CC    $(FLAVOUR) $<"
	@$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

$B/libwebhook.a: $(LIB_OBJ)
	@mkdir -p $(@D)
	@rm -f $@
	@$(AR) rcsD $@ $^

LINK = @mkdir -p $(@D); echo "  LINK  $(FLAVOUR) $(@F)"; $(CC) $(OPT) $(LDOPT) -pthread -o $@
$(BIN): $B/webhook/main.o $B/libwebhook.a
	$(LINK) $^ $(PKG_LIBS) $(LDFLAGS)

# --- test programs ----------------------------------------------------------------------
$(UNIT_BIN): $B/tests/unit/%: $B/tests/unit/%.o $(SUPPORT_OBJ) $B/libwebhook.a
	$(LINK) $^ $(PKG_LIBS) $(TEST_LIBS) $(WRAP) $(LDFLAGS)
# Its own patches never fail to apply, so the test makes one fail.
$B/tests/unit/test_admit: private WRAP := -Wl,--wrap=patch_apply
$(REPLAY_BIN): $B/tests/fuzz/replay_%: $B/tests/fuzz/fuzz_%.o $B/tests/fuzz/replay_main.o $B/libwebhook.a
	$(LINK) $^ $(PKG_LIBS) $(LDFLAGS)
$(filter $B/bench/%,$(TOOL_BIN)): $(BENCH_SUPPORT_OBJ)
$(TOOL_BIN): $B/%: $B/%.o $(TOOL_SUPPORT_OBJ) $B/libwebhook.a
	$(LINK) $(filter %.o,$^) $(filter %.a,$^) $(PKG_LIBS) $(LDFLAGS) -lm
ifeq ($(FLAVOUR),fuzz)
$(FUZZ_BIN): $B/tests/fuzz/fuzz_%: $B/tests/fuzz/fuzz_%.o $B/libwebhook.a
	$(LINK) -fsanitize=fuzzer $^ $(PKG_LIBS) $(LDFLAGS)
endif
test-programs: all $(UNIT_BIN) $(REPLAY_BIN) $(TOOL_BIN)

# --- suites -----------------------------------------------------------------------------
RUN := tests/run
unit cases fuzz-replay integration long: test-programs
	@$(RUN) $(FLAVOUR) $@ $(T)
lint: all $B/bench/repeat
	@$(RUN) $(FLAVOUR) lint $(T)
check: test-programs
	@$(RUN) $(FLAVOUR) unit integration
# Memory errors are looked for where inputs are odd (unit, cases, fuzz replay); what users
# get is the release flavour, so integration runs on that one. .ci/run adds the others.
test: test-programs
	@$(MAKE) --no-print-directory SANITIZER=address test-programs
	@$(RUN) release unit cases integration lint -- address unit cases fuzz-replay
demo: all
	@NRW_BIN=$(abspath $(BIN)) tools/demo.sh

fuzz: build/.setup
	@$(if $(NO_SETUP),true,tools/setup.sh fuzz)
	@$(MAKE) --no-print-directory FLAVOUR=fuzz fuzz-targets
.PHONY: fuzz-targets
fuzz-targets: $(FUZZ_BIN)
fuzz-run: fuzz
	@tests/fuzz/run.sh $(or $(T),all) $(SECONDS)

# --- suites that need more: each brings its own setup -------------------------------------
e2e spring: all
	@NRW_BIN=$(abspath $(BIN)) tests/$@/run.sh
image:
	@tools/setup.sh image
	@tests/image/run.sh
sbom:
	@tools/setup.sh image
	@tools/sbom.sh
bench: test-programs
	@NRW_BIN=$(abspath $(BIN)) NRW_BUILD=$(abspath $B) bench/run.sh $(T)
soak: test-programs
	@NRW_BIN=$(abspath $(BIN)) NRW_BUILD=$(abspath $B) OUT=$(or $(OUT),bench/SOAK.md) bench/soak.sh $(REQUESTS)

format:
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format -i
PREFIX ?= /usr/local
install: all
	install -D -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin/nvcf-registry-webhook
	ln -sf nvcf-registry-webhook $(DESTDIR)$(PREFIX)/bin/kubectl-nvcf_registry
clean:
	rm -rf build

.SECONDARY:
-include $(shell find $B -name '*.d' 2>/dev/null)
