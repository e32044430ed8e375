// How attaching a device to a domain ends, if not in a bug.
#ifndef SHOOTDOWN_SW_SMMU_ATTACH_RESULT_H
#define SHOOTDOWN_SW_SMMU_ATTACH_RESULT_H

namespace shootdown::sw::smmu {

enum class [[nodiscard]] AttachResult{
    kOk,
    kInvalid,   ///< -EINVAL: the SMMU lacks the stage, or the device differs from those in the
                ///< domain
    kBusy,      ///< -EBUSY: PASIDs are in use, which a domain of stage 2 has no room for
    kNoMemory,  ///< -ENOMEM, -ENOSPC: no page, or no ASID or VMID, is left
};

}  // namespace shootdown::sw::smmu

#endif
