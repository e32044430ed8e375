# Installs into a scratch folder and runs the installed program on an installed configuration.
set(prefix ${BUILD}/installed)
file(REMOVE_RECURSE ${prefix})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix}
  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(
  COMMAND ${prefix}/bin/shootdown run ${prefix}/share/shootdown/configs/permission_upgrade.yaml
  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
