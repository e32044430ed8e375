// A file that is there whole or not at all: written under a temporary name, then renamed.
#ifndef SHOOTDOWN_COSIM_REPORT_OUTPUT_FILE_H
#define SHOOTDOWN_COSIM_REPORT_OUTPUT_FILE_H

#include <fstream>
#include <string>

namespace shootdown::cosim {

class OutputFile {
 public:
  /// Throws ConfigError if the file cannot be made, or is there and no ordinary file. `option`
  /// names it in the message.
  OutputFile(const std::string& option, const std::string& path);
  /// Removes the temporary file unless commit() was called.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  std::ostream& stream() { return stream_; }
  const std::string& temporary_path() const { return temporary_; }
  /// Lets another writer have the temporary file.
  void close() { stream_.close(); }
  /// The other writer could not write all of it. Throws ConfigError.
  [[noreturn]] void fail_incomplete() const { fail("could not be written whole"); }
  /// Gives the file its name. Throws ConfigError if writing failed.
  void commit();

 private:
  [[noreturn]] void fail(const std::string& problem) const;
  std::string option_;
  std::string path_;
  std::string target_;
  std::string temporary_;
  std::ofstream stream_;
  bool committed_{};
};

}  // namespace shootdown::cosim

#endif
