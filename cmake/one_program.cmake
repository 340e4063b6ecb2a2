# SPDX-License-Identifier: Apache-2.0
# one_program(OUTPUT SOURCE...) writes one source that has the programs of all SOURCEs in it: it runs the one that its
# first argument names. The headers, which are most of what is to be compiled, are then compiled once.
#
# Each SOURCE has its own namespace, main() included, so its names meet no others. All headers come before them, outside;
# #pragma once keeps them out of the namespaces. A SOURCE that changes what headers mean, or replaces something of the
# whole program such as operator new, can't take part.
function(one_program output)
  set(headers "")
  set(programs "")
  set(choices "")
  foreach(source IN LISTS ARGN)
    get_filename_component(name "${source}" NAME_WE)
    file(STRINGS "${source}" includes REGEX "^#include ")
    list(APPEND headers ${includes})
    string(APPEND programs "namespace program_${name} {\n#include \"${source}\"\n}\n")
    string(APPEND choices "  if (name == \"${name}\") return program_${name}::main();\n")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${source}")
  endforeach()
  list(APPEND headers "#include <cstdio>" "#include <string>")
  list(REMOVE_DUPLICATES headers)
  list(JOIN headers "\n" headers)
  set(text "${headers}\n\n${programs}\nint main(int count, char** arguments) {
  const std::string name = count == 2 ? arguments[1] : \"\";
${choices}  std::fprintf(stderr, \"there is no program '%s' in this one\\n\", name.c_str());
  return 2;
}\n")
  file(CONFIGURE OUTPUT "${output}" CONTENT "${text}" @ONLY)
endfunction()
