"""Blender's cameras and the capture's: conversion, rigs, shots, looking through one."""
