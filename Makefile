# Letterlock. `make` builds build/letterlock, `make check` the tests (docs: README.md).
#
#   make                optimised build in build/
#   make check          ASan + UBSan build in build/asan, all tests that need no peer server
#   make check-all      the same, and real peers, long crash runs, walls
#   make fuzz           every fuzzer, SECONDS=600 each or TOTAL=3600 in all; T=NAME: one of them
#   make fuzz-merge     keeps what they found in test/corpus; make fuzz-cover T=NAME: what it reaches
#   make bench          load generators (bench/README.md)
#   make style          form; make format mends it
#   OUT=DIR             another build folder

OUT  ?= build
CC   ?= gcc
PKGS := libevent_core libevent_extra openssl libunbound sqlite3 jansson libseccomp libcap-ng

# Folders in the order of their layers: each may use those before it (doc/LAYERS).
FOLDERS := $(shell sed -n 's/^\([a-z0-9]*\):.*/\1/p' doc/LAYERS)

ifeq ($(SAN),)
OPT  := -O2 -g -D_FORTIFY_SOURCE=2 -fcf-protection=full -fstack-clash-protection \
        -fstack-protector-strong -Wframe-larger-than=2048
else
OPT  := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif
WARN := -Wall -Wextra -Werror -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes \
        -Wwrite-strings -Wpointer-arith -Wformat=2 -Wformat-truncation=1 -Wno-format-nonliteral
VERSION := $(shell cat VERSION)
CFLAGS  := -std=gnu17 -D_GNU_SOURCE -DLETTERLOCK_VERSION='"$(VERSION)"' -Isrc $(WARN) $(OPT) -fPIE
,       := ,
LDFLAGS := -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(if $(SAN),-fsanitize=address$(,)undefined)
# One short line a command; V=1 shows them whole.
ifeq ($(V),)
Q    := @
say   = @echo '  $(1) $(patsubst $(OUT)/%,%,$@)'
endif

# ---- sources ------------------------------------------------------------------------------------
# Everything in a folder makes its archive, save tests, fuzzers and files with a main().
MAINS   := src/cli/main.c $(addprefix src/role/,$(addsuffix .c,serve edge store relay keys import))
sources  = $(filter-out %_test.c %_fuzz.c $(MAINS),$(sort $(wildcard src/$(1)/*.c)))
objects  = $(patsubst src/%.c,$(OUT)/obj/%.o,$(1))
archive  = $(OUT)/lib/lib$(1).a
# Archives from the highest layer down: the linker takes what is still wanted from each.
reverse  = $(if $(1),$(call reverse,$(wordlist 2,$(words $(1)),$(1))) $(firstword $(1)))
ARCHIVES := $(foreach f,$(call reverse,$(FOLDERS)),$(call archive,$(f)))

ROLES    := serve edge store relay keys import
PROGRAMS := $(OUT)/letterlock $(addprefix $(OUT)/libexec/letterlock/,$(ROLES))

LIBS_crypto := -lssl -lcrypto
LIBS_loop   := -levent_core
LIBS_walls  := -lseccomp -lcap-ng
LIBS_serve  := $(LIBS_loop) $(LIBS_walls)
LIBS_edge   := -levent_extra $(LIBS_loop) $(LIBS_crypto) $(LIBS_walls)
LIBS_store  := $(LIBS_loop) -lsqlite3 -ljansson $(LIBS_walls)
LIBS_relay  := $(LIBS_loop) $(LIBS_crypto) -lunbound $(LIBS_walls)
LIBS_keys   := $(LIBS_loop) -lcrypto $(LIBS_walls)
LIBS_import := $(LIBS_loop) -lcrypto $(LIBS_walls)
LIBS_cli    := $(LIBS_loop) -lsqlite3 -ljansson -lcrypto $(LIBS_walls)
LIBS_all    := -levent_extra $(LIBS_loop) $(LIBS_crypto) -lunbound -lsqlite3 -ljansson $(LIBS_walls)

all: layers $(PROGRAMS)

$(OUT)/letterlock: $(OUT)/obj/cli/main.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_cli) -lpthread
$(OUT)/libexec/letterlock/%: $(OUT)/obj/role/%.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_$*) -lpthread

define folder_rules
$(call archive,$(1)): $(call objects,$(call sources,$(1)))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(Q)ar rcs $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call folder_rules,$(f))))

$(OUT)/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(call say,CC  )
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<
-include $(shell find $(OUT)/obj $(OUT)/test $(OUT)/tool -name '*.d' 2>/dev/null)

# ---- unit tests: one program per x_test.c -------------------------------------------------------
UNIT := $(patsubst src/%.c,$(OUT)/test/%,$(sort $(wildcard src/*/*_test.c)))
$(OUT)/test/%_test: src/%_test.c $(ARCHIVES)
	@mkdir -p $(@D)
	$(call say,TEST)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $< $(ARCHIVES) -lcmocka $(LIBS_all) -lpthread
# Programs that system tests run (test/crash).
CRASH := $(addprefix $(OUT)/test/crash/,powercut_load powercut_recover blockcut faults.so)
$(OUT)/test/crash/powercut_load: test/crash/powercut.c
$(OUT)/test/crash/%: test/crash/%.c $(ARCHIVES)
	@mkdir -p $(@D)
	$(call say,TEST)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $(filter %.c,$^) $(ARCHIVES) $(LIBS_store) -lpthread
# Preloaded into roles, sanitized or not.
$(OUT)/test/crash/%.so: test/crash/%.c
	@mkdir -p $(@D)
	$(call say,TEST)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE $(WARN) -O2 -g -fPIC -shared -MMD -MP -MF $@.d -o $@ $< -ldl
unit: $(UNIT) $(CRASH) replays

# ---- fuzzers: libFuzzer, one program per x_fuzz.c (doc/FUZZING.md) -------------------------------
# All sources are compiled once more by clang: for the fuzzer, or with COVER=1 to see what it reaches.
# (fiber.c asks for gcc's word for ASan, which clang 14 does not have.)
FUZZ_OUT   := build/fuzz$(if $(COVER),-cover)
FUZZ_FLAGS := -std=gnu17 -D_GNU_SOURCE -DLETTERLOCK_VERSION='"$(VERSION)"' -Isrc -O1 -g \
              $(if $(COVER),-fprofile-instr-generate -fcoverage-mapping,-fsanitize=address,undefined \
              -fno-sanitize-recover=undefined -D__SANITIZE_ADDRESS__) -fsanitize=fuzzer-no-link
FUZZERS    := $(patsubst src/%.c,$(FUZZ_OUT)/bin/%,$(sort $(wildcard src/*/*_fuzz.c)))
FUZZ_OBJ   := $(foreach f,$(FOLDERS),$(patsubst src/%.c,$(FUZZ_OUT)/obj/%.o,$(call sources,$(f))))
SECONDS    ?= 600
$(FUZZ_OUT)/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(Q)clang $(FUZZ_FLAGS) -MMD -MP -c -o $@ $<
$(FUZZ_OUT)/libfuzzed.a: $(FUZZ_OBJ)
	@rm -f $@
	$(Q)ar rcs $@ $^
$(FUZZ_OUT)/bin/%_fuzz: src/%_fuzz.c $(FUZZ_OUT)/libfuzzed.a
	@mkdir -p $(@D)
	$(call say,FUZZ)
	$(Q)clang $(FUZZ_FLAGS) -fsanitize=fuzzer -MMD -MP -MT $@ -MF $@.d -o $@.new $< \
	    $(FUZZ_OUT)/libfuzzed.a $(LIBS_all) -lpthread
	@mv $@.new $@
-include $(shell find $(FUZZ_OUT) -name '*.d' 2>/dev/null)
fuzzers: $(FUZZERS)
fuzz: $(FUZZERS)
	tool/fuzz run $(FUZZ_OUT) $(if $(TOTAL),total:$(TOTAL),$(SECONDS)) $(T)
fuzz-merge: $(FUZZERS)
	tool/fuzz merge $(FUZZ_OUT) $(T)
fuzz-cover:
	@$(MAKE) --no-print-directory COVER=1 fuzzers
	tool/fuzz cover build/fuzz-cover $(T)
# The same programs without libFuzzer, which replay the kept corpora in `make check`.
REPLAYS := $(patsubst src/%.c,$(OUT)/test/%,$(sort $(wildcard src/*/*_fuzz.c)))
$(OUT)/test/%_fuzz: src/%_fuzz.c test/fuzz/replay.c $(ARCHIVES)
	@mkdir -p $(@D)
	$(call say,TEST)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $< test/fuzz/replay.c $(ARCHIVES) \
	    $(LIBS_all) -lpthread
replays: $(REPLAYS)

# ---- load generators ----------------------------------------------------------------------------
$(OUT)/bench/%: bench/%.c $(ARCHIVES)
	@mkdir -p $(@D)
	$(call say,CC  )
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -Isrc -O2 -g -Wall -Wextra -o $@ $^ $(LIBS_all) -lpthread
bench: all $(OUT)/bench/smtpblast $(OUT)/bench/mailsink $(OUT)/bench/tls_handshake $(OUT)/bench/store_accept \
       $(OUT)/bench/queue_fill

# ---- checks -------------------------------------------------------------------------------------
layers:
	@tool/layers
style:
	@tool/style
format:
	@tool/style --fix
check:
	@$(MAKE) --no-print-directory SAN=1 OUT=build/asan all unit
	@tool/test build/asan quick
check-all:
	@$(MAKE) --no-print-directory SAN=1 OUT=build/asan all unit
	@$(MAKE) --no-print-directory bench
	@tool/test build/asan all
clean:
	rm -rf build

.PHONY: all bench unit replays fuzzers fuzz fuzz-merge fuzz-cover layers style format check check-all clean
.SECONDARY:
.DELETE_ON_ERROR:
