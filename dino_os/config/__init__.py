"""Settings: what there is to set, and where each value came from."""

from dino_os.config.cluster import Cluster
from dino_os.config.file import Config, SettingPath
from dino_os.config.network import Gate, Nav
from dino_os.config.settings import Settings
from dino_os.config.work import Entities

__all__ = ["Cluster", "Config", "Entities", "Gate", "Nav", "SettingPath", "Settings"]
