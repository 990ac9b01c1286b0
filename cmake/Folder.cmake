# etinde_folder(NAME LINKS...): the static library of one source folder.

function(etinde_folder name)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
    list(FILTER sources EXCLUDE REGEX "/main\\.c$")
    if(NOT sources)
        set(sources ${CMAKE_SOURCE_DIR}/base/array.c) # until the folder has files of its own
    endif()
    add_library(etinde-${name} STATIC ${sources})
    target_link_libraries(etinde-${name} PUBLIC ${ARGN})
endfunction()
