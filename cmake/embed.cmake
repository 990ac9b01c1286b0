# Writes OUTPUT, a C file whose web_page() returns the bytes of INPUT.
file(READ ${INPUT} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n" bytes "${bytes}")
file(WRITE ${OUTPUT} "#include \"web/page.h\"\n\nstatic const unsigned char page[] = {\n${bytes}\n};\n\nstruct slice web_page(void)\n{\n    return slice_of(page, sizeof(page));\n}\n")
