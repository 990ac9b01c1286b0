# Warnings, hardening and sanitizers: the same for every target of ours.

set(ETINDE_SANITIZE "" CACHE STRING "value for -fsanitize=, empty for none")
option(ETINDE_FUZZ "build the libFuzzer targets (clang only)" OFF)

add_compile_options(
    -Wall -Wextra -Werror -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
    -Wwrite-strings -Wformat=2 -Wundef -Wpointer-arith -Wimplicit-fallthrough
    -fno-strict-aliasing -fstack-protector-strong -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.
    -include ${CMAKE_SOURCE_DIR}/base/banned.h)
add_compile_definitions(_GNU_SOURCE)
include_directories(${CMAKE_SOURCE_DIR})

set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g -fno-omit-frame-pointer")

if(ETINDE_SANITIZE)
    # gcc's own analysis sees worse under sanitizers and warns of cuts that are meant.
    if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
        add_compile_options(-Wno-format-truncation)
    endif()
    add_compile_options(-fsanitize=${ETINDE_SANITIZE} -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${ETINDE_SANITIZE})
else()
    add_compile_options(-D_FORTIFY_SOURCE=2 -fcf-protection)
    add_link_options(-pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Debug" AND NOT ETINDE_SANITIZE)
    remove_definitions(-D_FORTIFY_SOURCE=2)
    add_compile_options(-U_FORTIFY_SOURCE)
endif()
if(ETINDE_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
