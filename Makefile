# feature_stream: PGXS build.  "make DEV=1" is the developers' build: warnings
# are errors, assertions and fault points are on.
MODULE_big = feature_stream
EXTENSION = feature_stream
DATA = feature_stream--1.0.sql
PGFILEDESC = "feature_stream - streaming feature platform"

# The sources may be elsewhere: make -f /path/Makefile builds in the current directory.
SOURCE := $(dir $(abspath $(lastword $(MAKEFILE_LIST))))
VPATH = $(SOURCE)
OBJS = $(patsubst $(SOURCE)%.c,%.o,$(sort $(wildcard $(SOURCE)src/*.c $(SOURCE)src/*/*.c)))

PG_CPPFLAGS = -I$(SOURCE)src
SHLIB_LINK = -lrdkafka -lhiredis -lcurl -lzstd -lz -lpthread

REGRESS = $(sort $(patsubst $(SOURCE)sql/%.sql,%,$(wildcard $(SOURCE)sql/*.sql)))
REGRESS_OPTS = --inputdir=$(SOURCE)

ifdef DEV
PG_CFLAGS = -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers -DUSE_ASSERT_CHECKING
PG_CPPFLAGS += -DFS_FAULTS
endif

PG_CONFIG ?= pg_config
override with_llvm = no
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# Headers are few and small: any change rebuilds everything.
$(OBJS): $(wildcard $(SOURCE)src/*/*.h) | directories
directories:
	@mkdir -p $(sort $(dir $(OBJS)))
.PHONY: directories
