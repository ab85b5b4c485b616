# One Makefile, one build folder per flavour: build/release, build/debug, build/address,
# build/undefined, build/thread. `make SANITIZER=address` picks a sanitizer flavour.
#   make            the program            make test       unit, case, integration, lint
#   make setup      install what is needed make demo       the main job, no cluster needed

SHELL := /bin/bash
CC ?= cc
SANITIZER ?=
DEBUG ?=
FLAVOUR := $(if $(SANITIZER),$(SANITIZER),$(if $(DEBUG),debug,release))
B := build/$(FLAVOUR)

VERSION := 0.1.0
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

PKGS := libmicrohttpd openssl jansson libcurl yaml-0.1
WARN := -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes \
        -Wmissing-prototypes -Wvla -Wformat=2 -Wundef -Wcast-qual -Wpointer-arith \
        -Wwrite-strings -Werror
BASE := -std=gnu11 -g -fno-common -fvisibility=hidden -pthread -Iwebhook -I. -D_GNU_SOURCE
ifeq ($(FLAVOUR),release)
  OPT := -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fPIE -fcf-protection
  LDOPT := -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed
else ifeq ($(FLAVOUR),debug)
  OPT := -O0 -DNRW_DEBUG
else
  OPT := -O1 -fsanitize=$(SANITIZER) -fno-omit-frame-pointer -fno-sanitize-recover=all -DNRW_DEBUG
  LDOPT := -fsanitize=$(SANITIZER)
endif
CFLAGS_ALL := $(BASE) $(WARN) $(OPT) $(CFLAGS)
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS))
PKG_LIBS = $(shell pkg-config --libs $(PKGS))

LIB_SRC := $(filter-out webhook/main.c,$(sort $(shell find webhook certs -name '*.c' 2>/dev/null)))
LIB_OBJ := $(LIB_SRC:%.c=$B/%.o)
UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$B/tests/unit/%)
BIN := $B/nvcf-registry-webhook

.PHONY: all unit clean
all: $(BIN)

$B/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(PKG_CFLAGS) -DNRW_VERSION='"$(VERSION)"' -MMD -MP -c $< -o $@

$B/libwebhook.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(BIN): $B/webhook/main.o $B/libwebhook.a
	$(CC) $(OPT) $(LDOPT) -pthread -o $@ $^ $(PKG_LIBS) $(LDFLAGS)

$B/tests/unit/%: $B/tests/unit/%.o $B/libwebhook.a
	$(CC) $(OPT) $(LDOPT) -pthread -o $@ $^ $(PKG_LIBS) $(shell pkg-config --libs cmocka) $(LDFLAGS)

unit: $(UNIT_BIN)
	@set -e; for t in $(UNIT_BIN); do echo "== $$t"; $$t; done

clean:
	rm -rf build

-include $(LIB_OBJ:.o=.d) $B/webhook/main.d $(UNIT_BIN:=.d)
