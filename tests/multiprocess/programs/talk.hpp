// SPDX-License-Identifier: Apache-2.0
// What the C++ programs here share: options of the form NAME=VALUE, and lines of JSON in and out, as in talk.py.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>

namespace talk {

class Options {
 public:
  Options(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
      const std::string argument = argv[i];
      const std::size_t equals = argument.find('=');
      given_[argument.substr(0, equals)] = argument.substr(equals + 1);
    }
  }
  const std::string& text(const std::string& name) const { return given_.at(name); }
  unsigned long long number(const std::string& name) const { return std::stoull(given_.at(name)); }

 private:
  std::map<std::string, std::string> given_;
};

// Writes one message; `content` is the rest of the JSON object, beginning with a comma, or nothing.
inline void say(const std::string& kind, const std::string& content = "") {
  const std::string line = "{\"kind\":\"" + kind + "\"" + content + "}\n";
  if (::write(1, line.data(), line.size()) != static_cast<ssize_t>(line.size())) std::abort();
}

// Waits until the test gives this command.
inline void wait_for(const std::string& command) {
  std::string line;
  std::getline(std::cin, line);
  if (line == "{\"do\": \"" + command + "\"}") return;
  std::fprintf(stderr, "expected the command %s, got %s\n", command.c_str(), line.c_str());
  std::exit(2);
}

}  // namespace talk
