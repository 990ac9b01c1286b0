# Writes version.h with the release number and the commit, at build time and
# only when it changes.  No date and no path: the same commit builds the same bytes.

add_custom_target(version ALL
    BYPRODUCTS ${CMAKE_BINARY_DIR}/generated/version.h
    COMMAND ${CMAKE_COMMAND}
        -D VERSION=${PROJECT_VERSION}
        -D SOURCE=${CMAKE_SOURCE_DIR}
        -D OUTPUT=${CMAKE_BINARY_DIR}/generated/version.h
        -P ${CMAKE_SOURCE_DIR}/cmake/write_version.cmake)
include_directories(${CMAKE_BINARY_DIR}/generated)
